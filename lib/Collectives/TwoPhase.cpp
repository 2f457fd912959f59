// Two chains instead of one long one: each group of neighbours reduces to its
// leader (the member nearest to the root), all groups at once; then the leaders
// form a chain. With groups of about the square root of the length the 2 ramps
// of a link are paid 2 sqrt P times instead of P times; each word passes twice
// through a leader, so it costs 2 B.
//
// The outermost leader has nothing to wait for in the second phase: it passes
// on while its group still reduces.
//
// Colors: 2 for the links inside groups, 2 for the links between leaders, each
// alternating along the line. The low arm starts the alternation at the other
// color, since both arms meet at the root.

#include "Algorithms.h"

#include <cmath>

using namespace waferloom::collectives;

using TransferKind = Transfer::Kind;

namespace {

/// One side of the root: member 0 is the root, member k lies k PEs away.
struct Arm {
  Segment &segment;
  int direction;    // +1: toward higher positions
  unsigned members; // with the root
  unsigned base;    // first of 4 colors

  size_t at(unsigned member) const {
    return size_t(int64_t(segment.root) + int64_t(direction) * member);
  }
  unsigned flip() const { return direction > 0 ? 0 : 1; }
  /// Color of the link from member `index` of a group to the one before it.
  unsigned inner(unsigned index) const { return base + (index + flip()) % 2; }
  /// Color of the link from the leader of `group` to the one before it.
  unsigned outer(unsigned group) const {
    return base + 2 + (group + flip()) % 2;
  }
};

} // namespace

/// The transfers of everybody but the root; says what the root has to receive.
static void reduceArm(const Arm &arm, unsigned group) {
  Segment &segment = arm.segment;
  const unsigned groups = (arm.members + group - 1) / group;
  for (unsigned member = 1; member < arm.members; ++member) {
    const unsigned index = member % group, number = member / group;
    const size_t pe = arm.at(member);
    const bool follower = index + 1 < group && member + 1 < arm.members;
    if (index > 0) {
      segment.stream(pe, arm.at(member - 1), arm.inner(index));
      if (follower)
        segment.transfer(pe, TransferKind::ReceiveFoldSend,
                         arm.inner(index + 1), arm.inner(index));
      else
        segment.transfer(pe, TransferKind::Send, 0, arm.inner(index));
      continue;
    }
    const unsigned out = arm.outer(number);
    segment.stream(pe, arm.at(member - group), out);
    if (number + 1 == groups) {
      if (follower)
        segment.transfer(pe, TransferKind::ReceiveFoldSend, arm.inner(1), out);
      else
        segment.transfer(pe, TransferKind::Send, 0, out);
      continue;
    }
    if (follower) {
      segment.transfer(pe, TransferKind::ReceiveFold, arm.inner(1));
      segment.transfer(pe, TransferKind::Rewrite, 0);
    }
    segment.transfer(pe, TransferKind::ReceiveFoldSend, arm.outer(number + 1),
                     out);
  }
}

static void reduceInTwoPhases(Segment &segment, const Request &request,
                              const Costs &) {
  const unsigned group = request.group;
  if (segment.length == 1)
    return;
  const unsigned base = segment.newColors(4);
  const unsigned root = segment.root, above = segment.length - 1 - root;
  Arm high{segment, +1, above + 1, base}, low{segment, -1, root + 1, base};
  reduceArm(high, group);
  reduceArm(low, group);
  // The root takes what is ready first: the groups next to it, the shorter arm
  // before the longer one.
  const Arm *first = above < root ? &high : &low;
  const Arm *second = above < root ? &low : &high;
  for (const Arm *arm : {first, second})
    if (group > 1 && arm->members > 1)
      segment.transfer(root, TransferKind::ReceiveFold, arm->inner(1));
  bool rewritten = segment.pes[root].transfers.empty();
  for (const Arm *arm : {first, second}) {
    if (arm->members <= group)
      continue;
    if (!rewritten)
      segment.transfer(root, TransferKind::Rewrite, 0);
    rewritten = true;
    segment.transfer(root, TransferKind::ReceiveFold, arm->outer(1));
  }
}

/// When the last word of the chain of leaders of an arm reaches the root. The
/// outermost leader passes on early; the others set up their second phase when
/// their group is done, and then pass on.
static uint64_t leadersOf(const CostModel &model, unsigned members,
                          unsigned group) {
  const unsigned groups = (members + group - 1) / group;
  const uint64_t inner = chainArm(model, group);
  if (groups < 2)
    return 0;
  if (groups == 2)
    return inner + model.link(group);
  return inner + model.costs.rewrite + model.costs.issue + model.words +
         (groups - 2) * model.link(group);
}

static uint64_t twoPhase(const CostModel &model, const Line &line,
                         const Request &request, unsigned group) {
  const unsigned low = request.root + 1, high = line.length - request.root;
  const unsigned shorter = std::min(low, high), longer = std::max(low, high);
  if (group == 1 || group >= longer)
    return joinArms(model, line, request,
                    [&](unsigned members) { return chainArm(model, members); });
  const uint64_t take = model.costs.issue + model.words;
  uint64_t time = chainArm(model, group);
  if (shorter > 1)
    time += take;
  time += model.costs.rewrite;
  for (unsigned members : {shorter, longer})
    if (members > group)
      time = std::max(time + take, leadersOf(model, members, group));
  return time;
}

/// The number of PEs per group that costs least.
static unsigned bestGroup(const CostModel &model, const Line &line,
                          const Request &request) {
  unsigned best = 1;
  uint64_t least = UINT64_MAX;
  const unsigned arm = std::max(request.root + 1, line.length - request.root);
  for (unsigned group = 2; group < arm; ++group) {
    const uint64_t total = twoPhase(model, line, request, group);
    if (total < least)
      best = group, least = total;
  }
  return best;
}

static uint64_t cyclesOfTwoPhase(const Line &line, const Request &request,
                                 const Costs &costs) {
  const CostModel model(line, request, costs);
  return twoPhase(model, line, request,
                  request.group ? request.group
                                : bestGroup(model, line, request));
}

static double publishedTwoPhase(double p, double words, double ramp,
                                unsigned group) {
  const double s = group ? group : std::sqrt(p);
  return 2 * words + p - 1 + (2 * ramp + 1) * (s - 1 + p / s - 1);
}

const Rules waferloom::collectives::twoPhaseRules = {
    .name = "two-phase",
    .neighboursOnly = true,
    .group = Rules::Group::Pes,
    .longest = 0, // a grown tree of two levels takes as many colors, no longer
    .colors = [](const Line &, const Request &, const Costs &) { return 4u; },
    .solve = reduceInTwoPhases,
    .fillIn =
        [](const Line &line, Request &request, const Costs &costs) {
          if (!request.group)
            request.group =
                bestGroup(CostModel(line, request, costs), line, request);
        },
    .cycles = cyclesOfTwoPhase,
    .published = publishedTwoPhase,
};
