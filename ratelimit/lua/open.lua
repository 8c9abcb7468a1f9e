-- Opens the gate for the epoch it was refilled in.
--
-- KEYS 1 epoch
-- ARGV 10 epoch
-- Returns 1, or 0 if another epoch has begun.

if ARGV[10] ~= epoch() then
  return 0
end
-- What is true now: the next admission may be granted.
call('SET', KEYS[1], ARGV[10])
return 1
