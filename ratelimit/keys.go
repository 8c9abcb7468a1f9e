package ratelimit

// Every key of the gate. They share one hash tag and so one slot of a Redis
// Cluster: that is what makes windows, grants, pools and flags atomic together.
// Owner says which scripts write the key.
const (
	// keyGate: hash epoch (the one the gate was opened for), filling (the one it
	// was last refilled in), and the pause of everything: paused, reason, version.
	// Owner: refill, open, Close, pause. Life: for ever.
	keyGate = "{sluice}:gate"

	// keyPosition: string, sequence of the last log entry applied.
	// Owner: apply. Life: for ever.
	keyPosition = "{sluice}:pos"

	// keyPools: set of the names of all pools seen.
	// Owner: admit, sender, pool, apply. Life: for ever.
	keyPools = "{sluice}:pools"

	// keySenders: set of the names of all senders seen, those included that a
	// customer has only written to.
	// Owner: admit, sender, apply. Life: for ever.
	keySenders = "{sluice}:senders"

	// prefixJob + job id: hash, what the gate knows of a job and its attempts;
	// fields in record.lua.
	// Owner: admit, claim, restore, giveback, cancel, apply. Life: none while
	// the job lives, Options.Retention after its end or the last news of its
	// message, or after a claim that nothing followed; and as long again after
	// a copy that comes at a time known.
	prefixJob = "{sluice}:job:"

	// prefixSender + sender: hash, policy (pool, limit, mps, paused, reason,
	// optin, version), trip (until, fault), cut (the share of its rate that the
	// last cut left and its µs), the pool whose member it is
	// (member), the µs up to which its rate is booked (rate) and used (sent), and how many of
	// its waiting jobs need a place, by priority (need0 to need2, and need for all).
	// Owner: sender, trip, cut, admit, cancel, apply, waiting. Life: for ever.
	prefixSender = "{sluice}:sender:"

	// prefixPool + pool: hash, policy (limit, reserve, paused, reason, closed,
	// version), what its members' limits come to (top: the largest one set,
	// default: 1 if any follows the default), how many senders are moving in
	// (moving) and how many waiting jobs need a place, by priority.
	// Owner: pool, admit, cancel, apply, waiting, and with the members. Life:
	// for ever.
	prefixPool = "{sluice}:pool:"

	// prefixMembers + pool: hash, sender → limit as set, empty for the default.
	// Owner: sender, admit, apply. Life: while the pool has senders.
	prefixMembers = "{sluice}:members:"

	// prefixSenderWindow + sender: sorted set, customer → µs of the last
	// counted send.
	// Owner: admit, giveback, cancel, apply. Life: entries are trimmed once
	// they no longer count.
	prefixSenderWindow = "{sluice}:window:sender:"

	// prefixPoolWindow + pool: sorted set, as above, for all senders of the pool.
	// Owner: the same, and sender (a sender brings its customers along).
	prefixPoolWindow = "{sluice}:window:pool:"

	// prefixMoves + pool: hash, sender → score below which its customers are
	// still to be copied into the pool's window.
	// Owner: sender, admit, apply, moveon. Life: until all are copied.
	prefixMoves = "{sluice}:moves:"

	// prefixPair + sender:customer: string, µs at which a message would be due
	// at the customer's pace, where that is later than the customer's place in the
	// sender's window says.
	// Owner: admit. Life: until then.
	prefixPair = "{sluice}:pair:"

	// prefixReady + sender: sorted set, sequence in the waiting room → priority
	// and sequence, of the jobs that need no place.
	// Owner: admit, apply, shelve, restore, Unshelve. Life: while such jobs wait.
	prefixReady = "{sluice}:ready:"

	// prefixWaiting + pool: hash, priority 0-2 → jobs marked as waiting, and
	// version, which every mark and unmark raises.
	// Owner: admit, cancel, apply, restore, waiting. Life: for ever.
	prefixWaiting = "{sluice}:waiting:"

	// prefixCustomer + customer: hash, sender or * → consent (choice, version
	// and µs); # → how many waiting jobs are found by the customer, and # with
	// the sequence in the waiting room → sender and priority of each; = → the
	// customer that this address is, with =version.
	// Owner: consent, alias, apply, shelve, admit, cancel. Life: for ever: a no
	// is not forgotten.
	prefixCustomer = "{sluice}:customer:"

	// prefixInbound + sender:customer: string, µs of the customer's last
	// message to the sender.
	// Owner: apply. Life: the service window.
	prefixInbound = "{sluice}:inbound:"

	// prefixSID + message sid: string, the job that the message is.
	// Owner: Own. Life: Options.Retention.
	prefixSID = "{sluice}:sid:"

	// prefixLease + name: string, the holder.
	// Owner: lease. Life: the lease's.
	prefixLease = "{sluice}:lease:"
)

func jobKey(job string) string             { return prefixJob + job }
func senderKey(sender string) string       { return prefixSender + sender }
func poolKey(pool string) string           { return prefixPool + pool }
func membersKey(pool string) string        { return prefixMembers + pool }
func senderWindowKey(sender string) string { return prefixSenderWindow + sender }
func poolWindowKey(pool string) string     { return prefixPoolWindow + pool }
func waitingKey(pool string) string        { return prefixWaiting + pool }
func customerKey(customer string) string   { return prefixCustomer + customer }
func readyKey(sender string) string        { return prefixReady + sender }
func sidKey(sid string) string             { return prefixSID + sid }
func leaseKey(name string) string          { return prefixLease + name }

// waitingFields are the fields of a waiting hash: priorities 0-2, version.
var waitingFields = []string{"0", "1", "2", "version"}

// luaKeys are the names by which scripts build keys for themselves, because they
// depend on what Redis holds (the pool of a sender, the sender of a job).
var luaKeys = map[string]string{
	"GATE_KEY":          keyGate,
	"POOLS_KEY":         keyPools,
	"SENDERS_KEY":       keySenders,
	"JOB_KEY":           prefixJob,
	"SENDER_KEY":        prefixSender,
	"POOL_KEY":          prefixPool,
	"MEMBERS_KEY":       prefixMembers,
	"SENDER_WINDOW_KEY": prefixSenderWindow,
	"POOL_WINDOW_KEY":   prefixPoolWindow,
	"MOVES_KEY":         prefixMoves,
	"PAIR_KEY":          prefixPair,
	"READY_KEY":         prefixReady,
	"WAITING_KEY":       prefixWaiting,
	"CUSTOMER_KEY":      prefixCustomer,
	"INBOUND_KEY":       prefixInbound,
}
