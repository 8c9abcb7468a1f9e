// Package callbacks turns what the provider tells into events: a signed form
// in, one event on the log out, and only then the answer.
//
// A form whose signature does not hold leaves no trace. One whose signature
// holds is stored before it is answered, under an id made of its content, so
// that the provider's own repetitions are one event.
package callbacks
