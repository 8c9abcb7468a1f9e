// Package embedded runs NATS JetStream and Redis inside the process, for the
// demo, for single-machine use and for tests. It knows nothing of jobs.
package embedded
