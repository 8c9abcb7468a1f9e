// Package ratelimit is the gate: one Redis slot that decides, in one atomic
// script and for all replicas at once, whether a job may be sent now.
//
// A message counts against a limit of different customers in a moving window
// (Meta: 24 hours, per business portfolio, outside a customer service window)
// and against a rate per sender (Twilio: 80 messages a second by default). The
// gate keeps both, and with them everything else that may say no: consents,
// pauses, cancel flags, expiries, service windows, the pace of messages to one
// customer and the grants of earlier deliveries of the same job.
//
// [Gate.Admit] is the only way to a grant, and a grant the only licence to
// send. It is idempotent per job, attempt and token; any other delivery of the
// same attempt is told of the grant and must not send.
//
// # State
//
// The gate is a projection. Each of its facts can be rebuilt: grants and
// evidence from the event log ([Gate.Apply]), policies, consents and aliases from
// their stream ([Gate.SetSender] and its siblings, versioned, so replays are
// harmless), waiting counters from the waiting room ([Gate.SetWaiting]). A
// Redis that has restarted, failed over or lost its data shows another epoch
// than the one the gate was opened for, and every admission answers
// [OutcomeClosed] until the log has been applied and [Gate.Open] called.
//
// # Time
//
// Every script reads the server's clock, so replicas need not agree on theirs.
// All times are microseconds since the Unix epoch inside Redis.
package ratelimit
