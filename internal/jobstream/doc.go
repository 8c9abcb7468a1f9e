// Package jobstream is the JetStream side of Sluice: which streams there are,
// what stands in them, and how a job moves between them.
//
//	SLUICE_JOBS   jobs as published, a bounded work queue
//	SLUICE_WAIT   jobs that wait: parked per sender, or scheduled for a time
//	SLUICE_LOG    every intent and every event, in order
//	SLUICE_FACTS  consents, aliases and policies: the last value per key
//
// [Worker] takes jobs from the first two, hands each to a [Handler] and does
// what the settlement says: acknowledge, park, schedule or hand back. Every
// move publishes first and acknowledges last, under an id that names the
// message moved, so that a crash in between leaves a copy and never a gap.
// Copies are the business of the gate's grants, not of this package.
//
// [Room] is the waiting room as its releaser sees it, [Log] the one log that
// all state is a projection of, [Facts] what must outlive it.
package jobstream
