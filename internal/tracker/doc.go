// Package tracker turns the log into what others read: the gate's windows and
// the ledger's records. Each is followed by one replica at a time, under a
// lease, from the position that the projection itself keeps; so a lost or
// older Redis is refilled by the very code that keeps a healthy one up to
// date.
package tracker
