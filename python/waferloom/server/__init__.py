"""The chat protocol that clients of language models speak, over HTTP and a WebSocket, before sessions of one program
(docs/serve.md). app.py has the routes, requests.py what a request may say, answers.py the form of what is said back,
pool.py whose turn it is, talk.py the WebSocket."""
