-- Reads the state of a pool and of its senders.
--
-- KEYS 1 pool  2 pool's window  3 members  4 waiting
-- ARGV 10 pool
-- Returns a row for the pool: limit, used, reserved, next free at, now, paused,
--      reason, closed, waiting high, normal, low; then one for each sender:
--      sender, limit, used, rate, next free at, paused, reason, tripped until,
--      needs opt-in; all as text.

local function text(time)
  return time and us(time) or ''
end

local function yes(truth)
  return truth and '1' or ''
end

local pool = read_pool(ARGV[10])
local all = call('HMGET', key.pause, 'paused', 'reason')
if all[1] == '1' and not pool.paused then
  pool.paused, pool.reason = true, all[2]
end
local waiting = call('HMGET', KEYS[4], '0', '1', '2')
local rows = { {
  us(pool.limit), us(used(KEYS[2])), us(pool.reserved), text(returns_at(KEYS[2], 0)), us(now),
  yes(pool.paused), pool.reason, yes(pool.closed), waiting[1] or '0', waiting[2] or '0', waiting[3] or '0',
} }

local names = call('HKEYS', KEYS[3])
table.sort(names)
for _, name in ipairs(names) do
  local sender, window = read_sender(name, ARGV[10]), key.sender_window .. name
  local tripped = sender.tripped_until > now
  rows[#rows + 1] = {
    name, us(sender.limit), us(used(window)), sender.mps, text(returns_at(window, 0)),
    yes(sender.paused or tripped), sender.paused and sender.reason or (tripped and sender.fault or ''),
    tripped and us(sender.tripped_until) or '', yes(sender.require_opt_in),
  }
end
return rows
