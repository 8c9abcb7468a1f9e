-- Opens the gate for the epoch it was refilled in.
--
-- KEYS 1 gate
-- ARGV 2 epoch
-- Returns 1, or 0 if another epoch has begun, or Redis was emptied since the
--      refill began.

if not is_epoch(ARGV[2]) or call('HGET', KEYS[1], 'filling') ~= ARGV[2] then
  return 0
end
-- What is true now: the next admission may be granted.
call('HSET', KEYS[1], 'epoch', ARGV[2])
return 1
