// Package dispatcher takes one job and returns one settlement. It is the only
// package that sends.
//
// The order of writes is what keeps the promise that nothing is lost and
// nothing is sent twice:
//
//  1. the gate grants the attempt to this delivery's token, and to no other;
//  2. the intent, with the payload, stands in the log;
//  3. the POST;
//  4. its outcome stands in the log;
//  5. the queue moves or acknowledges the message.
//
// A crash after 1 leaves a grant, after 2 a grant and an intent. Either way the
// next delivery is told "prior grant" and never sends: it looks for evidence of
// what the earlier one did, and only when there is none begins a new attempt.
// Nothing here is kept in memory between two jobs.
package dispatcher
