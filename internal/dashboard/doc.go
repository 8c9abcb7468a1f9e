// Package dashboard is the HTTP API for reading and for operations by hand:
// jobs, events, senders, pools, limits, backlog, consents, pauses,
// cancellations. It also draws the pages, signs people in to them, and streams
// events as they come. It decides nothing about jobs; it asks the projections
// and the gate, and tells facts and events.
//
// Every request is checked for its [Scope] before anything is read. Errors are
// JSON, {"error":{"code","message","field"}}. What is served is described in
// openapi.yaml, and a test holds one against the other.
package dashboard
