// Package senders is the registry of senders, their pools, the consents of
// customers and the pause of everything.
//
// The truth is a fact: the last value stored under a key, with a revision.
// The gate, which decides about every send, holds a copy. A [Registry] stores
// the fact first and tells the gate second; whoever follows the facts calls
// [Registry.Restore], which is that second step, so that a gate that missed a
// change, or lost everything, comes to know it the same way.
//
// A change may also be announced, as an event on the log: for those
// who watch, since nothing is decided by it.
//
// A fact holds what was put by hand and, apart from it, what the provider last
// said of a sender, which a [Sync] asks for. Defaults are added when it is read,
// so a changed setting holds for every sender that does not say otherwise.
package senders
