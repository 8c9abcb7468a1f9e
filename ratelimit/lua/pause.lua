-- Pauses everything, or lets it go on.
--
-- KEYS 1 gate
-- ARGV 2 paused  3 reason  4 version
-- Returns 1, or 0 if the version is not new.

if not newer(KEYS[1], ARGV[4]) then
  return 0
end
call('HSET', KEYS[1], 'paused', ARGV[2], 'reason', ARGV[3], 'version', ARGV[4])
return 1
