// Package forecast says when jobs that wait for messaging limits and rates
// will be out: from the places that are taken and when each comes back, the
// rates of the senders, and what waits before.
//
// It is arithmetic on values. Nothing here reads a clock or a store.
package forecast
