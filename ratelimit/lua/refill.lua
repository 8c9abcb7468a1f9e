-- Notes that the gate is being refilled in an epoch. What empties Redis takes the
-- note away.
--
-- KEYS 1 gate
-- ARGV 2 epoch
-- Returns 1, or 0 if another epoch has begun.

if not is_epoch(ARGV[2]) then
  return 0
end
call('HSET', KEYS[1], 'filling', ARGV[2])
return 1
