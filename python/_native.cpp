// The module `waferloom._native`.

#include "Native.h"

#include "waferloom/Files/Output.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Mapping/Mapping.h"

using namespace waferloom;
using namespace waferloom::python;

void python::fail(llvm::Error error) {
  throw Failure(image::escapeToUtf8(llvm::toString(std::move(error))));
}

PYBIND11_MODULE(_native, m) {
  py::register_exception<Failure>(m, "Failure", PyExc_RuntimeError);

  py::class_<image::Loaded, std::shared_ptr<image::Loaded>>(m, "Image")
      .def("describe",
           [](const std::shared_ptr<image::Loaded> &image) {
             return describe(image->image);
           })
      .def("save", [](const std::shared_ptr<image::Loaded> &image,
                      const std::string &path) {
        py::gil_scoped_release release;
        if (llvm::Error error = image::save(path, *image)) {
          py::gil_scoped_acquire acquire;
          fail(std::move(error));
        }
      });

  py::class_<executor::Session>(m, "Session")
      .def("run", &runStep)
      .def("reset",
           [](executor::Session &session) {
             if (llvm::Error error = session.reset())
               fail(std::move(error));
           })
      .def("rewind",
           [](executor::Session &session, uint64_t length) {
             if (llvm::Error error = session.rewind(length))
               fail(std::move(error));
           })
      .def("load", &loadStates)
      .def("fork",
           [](executor::Session &session) {
             auto other = session.fork();
             if (!other)
               fail(other.takeError());
             return std::move(*other);
           })
      .def_property_readonly("length", &executor::Session::length);

  m.def("compile", &compileModel);
  m.def("load_mapping", [](const std::string &name) {
    llvm::Expected<std::string> text = mapping::load(name);
    if (!text)
      fail(text.takeError());
    return image::escapeToUtf8(*text);
  });
  m.def("write_text", [](const std::string &path, const std::string &text) {
    if (llvm::Error error = files::writeText(path, text))
      fail(std::move(error));
  });
  m.def("load", [](const py::bytes &bytes, const std::string &name) {
    auto loaded = image::readBytes(static_cast<std::string_view>(bytes), name);
    if (!loaded)
      fail(loaded.takeError());
    return std::const_pointer_cast<image::Loaded>(*loaded);
  });
  m.def("load_file", [](const std::string &path) {
    auto loaded = [&] {
      py::gil_scoped_release release;
      return image::read(path);
    }();
    if (!loaded)
      fail(loaded.takeError());
    return std::const_pointer_cast<image::Loaded>(*loaded);
  });
  m.attr("version") = WAFERLOOM_VERSION;
  m.attr("usual_work_limit") = executor::usualWorkLimit;
  m.def("count", &countCycles);
  m.def("shared_links", &sharedLinks);
  m.def("critical_path", &criticalPath);
  m.def("session", [](const std::shared_ptr<image::Loaded> &image,
                      const std::string &engine) {
    const executor::EngineKind kind = engineOf(engine);
    auto session = [&] {
      py::gil_scoped_release release;
      return executor::Session::create(image, kind);
    }();
    if (!session)
      fail(session.takeError());
    return std::move(*session);
  });
}
