// Package producer turns a request into a published job.
//
// [Producer] is the client for Go programs: it fills what a job leaves open,
// checks it, and publishes it until the stream acknowledges it. [Handler] is
// the same over HTTP, with the steps that make a job readable at once and an
// idempotency key hold beyond the stream's own memory.
//
// The stream's acknowledgement is the only acceptance. Everything before it may
// be repeated with the same id, and nothing after it can lose the job.
package producer
