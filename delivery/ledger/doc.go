// Package ledger keeps the present state of every job in Redis, for reading:
// by id, by the provider's SID, in lists and in counts.
//
// It is a projection of the log of events and owns no truth. [Ledger.Apply]
// folds events into records with [delivery.Record.Apply], so events may come
// in any order, any number of times and from several appliers at once, and an
// empty Redis is filled again by applying the log from its start.
//
// Two rules hold between any two scripts, whatever crashed before:
//
//   - a record and its index entries are of one version;
//   - a SID has either an owner or orphans, never both.
//
// All keys bear one hash tag, so the ledger lives on one slot of a Redis
// Cluster. Nothing in it needs Redis's own clock or expiry to be right.
package ledger
