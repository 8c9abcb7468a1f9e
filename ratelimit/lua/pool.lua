-- Sets a pool's policy.
--
-- KEYS 1 pool  2 pools
-- ARGV 2 pool  3 limit  4 reserve  5 paused  6 reason  7 closed  8 version
-- Returns 1, or 0 if the version is not new.

if not newer(KEYS[1], ARGV[8]) then
  return 0
end
call('HSET', KEYS[1], 'limit', ARGV[3], 'reserve', ARGV[4], 'paused', ARGV[5],
  'reason', ARGV[6], 'closed', ARGV[7], 'version', ARGV[8])
call('SADD', KEYS[2], ARGV[2])
return 1
