-- Replaces a pool's counters of waiting jobs.
--
-- KEYS 1 waiting
-- ARGV 2 version that was read  3 high  4 normal  5 low  6 pool
-- Returns 1, or 0 if anything was marked or unmarked since, or the gate is closed:
--      then those who wait are still being told.

if (call('HGET', KEYS[1], 'version') or '0') ~= ARGV[2] or not is_epoch(call('HGET', GATE_KEY, 'epoch')) then
  return 0
end

-- How many of those need a place is the gate's own knowledge. It can be no more
-- than wait; and of jobs that wait without a mark, all may.
local function heal(hash, field, waiting, more)
  local need = tonumber(call('HGET', hash, field) or '0')
  if need > waiting or (more and need < waiting) then
    call('HSET', hash, field, waiting)
    call('HINCRBY', hash, 'need', waiting - need)
  end
end

for p = 0, 2 do
  local waiting = tonumber(ARGV[3 + p])
  local more = waiting > tonumber(call('HGET', KEYS[1], p) or '0')
  heal(POOL_KEY .. ARGV[6], 'need' .. p, waiting, more)
  for _, sender in ipairs(call('HKEYS', MEMBERS_KEY .. ARGV[6])) do
    heal(SENDER_KEY .. sender, 'need' .. p, waiting, false)
  end
end
call('HSET', KEYS[1], '0', ARGV[3], '1', ARGV[4], '2', ARGV[5])
call('HINCRBY', KEYS[1], 'version', 1)
return 1
