// Package dashboard is the HTTP API for reading and for operations by hand:
// jobs, senders, pools, limits, backlog, consents, pauses. It decides nothing
// about jobs; it asks the projections and changes facts.
//
// Every request is checked for its [Scope] before anything is read. Errors are
// JSON, {"error":{"code","message","field"}}.
package dashboard
