"""Why a program is as it is, and what is between it and its bound: from what the search considered, the mapping, the
bounds and the critical path."""

import re
from collections import Counter
from dataclasses import dataclass

# The gap between a step and its bound, by kinds of the critical path (docs/critical-path.md): what they take beyond the
# part of the bound that is theirs (docs/mapping.md#bounds). Together they are the whole gap.
PARTS = {
    "messages": (("hops", "ramp", "words", "turns", "forwarding"), lambda bound: bound["hard"] - bound["products"]),
    "arithmetic": (("work", "conflict"), lambda bound: bound["products"]),
    "issue": (("vector issue", "stream issue", "rewrite"), lambda bound: bound["floor"] - bound["hard"]),
    "waits": (("links", "credits", "threads"), lambda bound: 0),
}
LEVERS = {
    "messages": "a region with fewer hops across it (--region), other algorithms and roots of these collectives (--mapping)",
    "arithmetic": "more PEs for the same work (--region, --stages), halves where the model allows them (--precision f16)",
    "issue": "fewer instructions: rewrites that are off (--disable-rewrite), nodes of the model that could be one; more PEs do not "
             "help",
    "waits": "collectives that share no links: other roots, algorithms and colors (--mapping)",
}
SHOWN = 3  # parts, and items of each


@dataclass(frozen=True)
class Explanation:
    """facts: a dictionary, as `waferloom explain --json` prints it. As a string it is the text for readers."""

    facts: dict

    def __str__(self):
        return text(self.facts)


def collectives(program):
    """{(node, along, words): "grown, group 8, levels 4, root 32"} of the mapping."""
    found = {}
    lines = program.mapping.text.splitlines() if program.mapping else []
    for line in lines:
        match = re.match(r'  - \{at: "[^:"]*:([^#"]+)(?:#\d+)?", along: (\w), words: (\d+), algorithm: ([^}]*?)(?:, color: \d+)?\}', line)
        if match:
            found[match[1], match[2], int(match[3])] = match[4].replace(":", "")
    return found


def layouts(program):
    """Which dimensions are split along which factors of the region, as the mapping has it."""
    lines = program.mapping.text.splitlines() if program.mapping else []
    return [{"dim": match[1], "size": int(match[2]), "split": match[3].strip("[]")} for line in lines
            if (match := re.match(r'  - \{dim: "(.*?)", size: (\d+), split: (.*?)\}', line))]


def factors(program):
    """{"x0 x1": "2 x 24", "y": "64"}: into what the sides of a region are cut, as the mapping has it."""
    match = re.search(r"^region: \{x: \[(.*?)\], y: \[(.*?)\]\}", program.mapping.text if program.mapping else "", re.MULTILINE)
    if not match:
        return {}
    sides = {axis: text.split(", ") for axis, text in zip("xy", match.groups(), strict=True)}
    return {" ".join(f"{axis}{i}" for i in range(len(cut))) if len(cut) > 1 else axis: " x ".join(cut)
            for axis, cut in sides.items()}


def gap(program):
    """The step of one token against its bound: parts, the largest first, with what takes most of each."""
    path, chosen = program.critical_path(), collectives(program)
    bound = program.bounds[0] if program.bounds else None
    parts = []
    for name, (kinds, share) in PARTS.items():
        items = []
        for item in path.items:
            if cycles := sum(item.cycles.get(kind, 0) for kind in kinds):
                algorithm = chosen.get((item.node, item.along, item.words), "")
                items.append({"node": item.node, "collective": item.collective, "what": item.what, "words": item.words,
                              "along": item.along, "repeats": item.repeats, "cycles": cycles, "algorithm": algorithm})
        items.sort(key=lambda item: -item["cycles"])
        total, least = sum(path.kinds.get(kind, 0) for kind in kinds), share(bound) if bound else 0
        parts.append({"part": name, "cycles": total, "bound": least, "gap": total - least, "lever": LEVERS[name],
                      "items": items[:SHOWN]})
    parts.sort(key=lambda part: -part["gap"])
    return {"cycles": path.cycles, "bound": bound and bound["floor"], "hard_bound": bound and bound["hard"],
            "wires_bound": bound and bound["wires"], "parts": parts}


def explain(program):
    """Everything that is known of the choices of a program, as Explanation; of one that was loaded the search and the mapping
    are not known."""
    region, summary = program.regions[-1], program.summary
    facts = {"region": {"width": region.width, "height": region.height, "regions": len(program.regions),
                        "factors": factors(program)}, "search": None,
             "memory": None, "layouts": layouts(program), "rewrites": [
                 {"name": name, "worth": worth, "cycles": cycles} for name, worth, cycles in program.rewrites]}
    if "fit" in summary:
        facts["memory"] = {"bytes": summary["sram_used_max"], "limit": summary["sram_limit"], "parts": summary["fit"],
                           "layouts_tried": summary["layouts_tried"]}
    if summary.get("considered"):
        facts["search"] = summary["considered"]
    return Explanation(facts | {"gap": gap(program)})


def _search(considered, shown=6):
    outcomes = Counter(entry["outcome"] for entry in considered)
    lines = [f"  the search looked at {len(considered)} regions: " + ", ".join(f"{n} {what}" for what, n in outcomes.most_common())]
    for entry in considered[:shown]:
        stages = f" x{entry['stages']}" if entry["stages"] > 1 else ""
        estimate = "" if entry["cycles_estimated"] is None else f"{entry['cycles_estimated']:,.0f} cycles estimated"
        if entry["cycles_counted"] is not None:
            estimate += f", {entry['cycles_counted']:,.0f} counted"
        reason = f": {entry['reason'].splitlines()[0][:90]}" if entry["reason"] else ""
        lines.append(f"    {entry['width']}x{entry['height']}{stages}: {entry['outcome']}{', ' if estimate else ''}{estimate}{reason}")
    return lines + ["  estimates order them, those of the best few are counted; --why-not WxH of compile compares with one"]


def _item(item):
    words = f"{item['words']:,} word{'s' * (item['words'] != 1)}"
    what = f"{item['what']} of {words} along {item['along']}" if item["collective"] else "instructions"
    times = f", {item['repeats']} times" if item["repeats"] > 1 else ""
    return (f"      {item['cycles']:,} at {item['node']} ({what}{times})"
            + (f": {item['algorithm']}" if item["algorithm"] else ""))


def _gap(facts):
    lines = [f"a step takes {facts['cycles']:,} cycles"]
    if facts["bound"]:
        lines[0] += (f", {facts['cycles'] / facts['bound']:.2f} of its bound of {facts['bound']:,} (hops alone: "
                     f"{facts['wires_bound']:,}; with words and products: {facts['hard_bound']:,})")
    for part in facts["parts"][:SHOWN]:
        lines.append(f"  {part['part']}: {part['cycles']:,} cycles"
                     + (f", {part['gap']:,} more than the {part['bound']:,} of the bound" if facts["bound"] else ""))
        lines += map(_item, part["items"])
        lines.append(f"    lever: {part['lever']}")
    return lines


def _levers(facts):
    """Of `waferloom explain --try`."""
    if "levers" not in facts:
        return []
    lines = ["what levers bring, each counted alone:"]
    for lever in facts["levers"]:
        if lever["cycles"] is None:
            lines.append(f"  {lever['lever']}: {lever['reason'][:100]}")
        else:
            share = 100 * lever["saves"] / facts["gap"]["cycles"]
            lines.append(f"  {lever['lever']}: {lever['cycles']:,} cycles, "
                         + (f"{share:.1f} % fewer" if share > 0 else f"{-share:.1f} % more" if share < 0 else "the same"))
    return lines


def text(facts):
    """For readers."""
    region, memory = facts["region"], facts["memory"]
    times = f"{region['regions']} of " if region["regions"] > 1 else ""
    lines = [f"region: {times}{region['width']} x {region['height']} PEs"]
    lines += _search(facts["search"]) if facts["search"] else [
        "  no search is known: the region was given, or this is an image, which does not keep it; explain the model itself"]
    if memory:
        parts = ", ".join(f"{name} {size:,}" for name, size in memory["parts"].items())
        tried = memory["layouts_tried"]
        lines += [f"memory of the fullest PE: {memory['bytes']:,} of {memory['limit']:,} bytes ({parts}); "
                  + ("the first layout fitted" if tried == 1 else f"{tried} layouts were tried until one fitted")]
    if facts["layouts"]:
        axes = "; ".join(f"{axis} is {factors}" for axis, factors in region["factors"].items())
        lines.append(f"layouts: the least cycles by closed forms among those that fit (docs/partition.md); {axes}")
        lines += [f"    {each['dim']} ({each['size']:,}): " + ("whole on each PE" if each["split"] == "none" else f"split along {each['split']}")
                  for each in facts["layouts"]]
    for rewrite in facts["rewrites"]:
        if rewrite["cycles"] < 0:
            lines.append(f"rewrite {rewrite['name']} costs {-rewrite['cycles']:,} cycles here: --disable-rewrite {rewrite['name']}")
    return "\n".join([*lines, *_gap(facts["gap"]), *_levers(facts)])
