/// How far two cores are from each other.
#pragma once

namespace timeloom {

/// Seconds that a message to the first helper and its answer take: a tenth of a microsecond between
/// neighbours, several times as long between cores that share no cache. Infinite if it does not answer, as it
/// does not run. Wakes it if it sleeps.
double measure_round_trip();

/// The same, measured less than a second ago or now: where cores are virtual, they may move.
double round_trip();

}  // namespace timeloom
