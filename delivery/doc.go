// Package delivery says what a notification job is and how it may change.
//
// A [Job] is what an application asks for. What happens to it is told by
// [Event]s, one per change, and a [Record] is nothing but the set of events
// seen so far, read in their canonical order: by attempt, then by rank. That
// order, and not the order of arrival, decides what is true, so a late or
// repeated status callback can never move a job backwards.
//
// [Task], [Intent], [Fault] and [Settlement] are the values that the queue and
// the dispatcher hand each other. The package does no I/O and imports only the
// standard library; everything else in the module may import it.
package delivery
