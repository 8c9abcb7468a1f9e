-- Reads the state of a pool and of its senders.
--
-- KEYS 1 pool  2 pool's window  3 members  4 waiting
-- ARGV 2 pool
-- Returns a row for the pool: limit, used, reserved, next free at, now, paused,
--      reason, closed, waiting high, normal, low; then one for each sender:
--      sender, limit, used, rate, next free at, paused, reason, tripped until,
--      needs opt-in, rate now; all as text.

local pool = read_pool(ARGV[2])
local all = call('HMGET', GATE_KEY, 'paused', 'reason')
local paused, reason = pool.paused, call('HGET', pool.hash, 'reason') or ''
if all[1] == '1' and not paused then
  paused, reason = true, all[2]
end
local waiting = call('HMGET', KEYS[4], '0', '1', '2')
local rows = { {
  us(pool.limit), us(used(KEYS[2])), us(pool.reserved), text(first_back(KEYS[2])), us(now),
  yes(paused), reason, yes(pool.closed or pool.moving), waiting[1] or '0', waiting[2] or '0', waiting[3] or '0',
} }

local names = call('HKEYS', KEYS[3])
table.sort(names)
for _, name in ipairs(names) do
  local sender, window = read_sender(name, ARGV[2]), SENDER_WINDOW_KEY .. name
  local tripped = sender.tripped_until > now
  local why = (sender.paused or tripped) and call('HGET', sender.hash, sender.paused and 'reason' or 'fault')
  rows[#rows + 1] = {
    name, us(sender.limit), us(used(window)), tostring(sender.set_mps), text(first_back(window)),
    yes(sender.paused or tripped), why or '',
    tripped and us(sender.tripped_until) or '', yes(sender.require_opt_in),
    tostring(sender.mps),
  }
end
return rows
