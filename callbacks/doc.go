// Package callbacks turns what the provider tells into events: a signed form
// in, its event on the log out, and only then the answer.
//
// A form whose signature does not hold leaves no trace. One whose signature
// holds is stored before it is answered, under an id made of its content, so
// that the provider's own repetitions are one event.
//
// A customer's word of consent, and the provider's refusal for want of it, is
// more than an event: it is recorded where it keeps the next message back, and
// has an event of its own.
package callbacks
