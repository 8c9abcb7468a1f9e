-- Pauses everything, or lets it go on.
--
-- KEYS 1 pause
-- ARGV 10 paused  11 reason  12 version
-- Returns 1, or 0 if the version is not new.

if not newer(KEYS[1], ARGV[12]) then
  return 0
end
call('HSET', KEYS[1], 'paused', ARGV[10], 'reason', ARGV[11], 'version', ARGV[12])
return 1
