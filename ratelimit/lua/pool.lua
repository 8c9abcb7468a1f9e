-- Sets a pool's policy.
--
-- KEYS 1 pool  2 pools
-- ARGV 10 pool  11 limit  12 reserve  13 paused  14 reason  15 closed  16 version
-- Returns 1, or 0 if the version is not new.

if not newer(KEYS[1], ARGV[16]) then
  return 0
end
call('HSET', KEYS[1], 'limit', ARGV[11], 'reserve', ARGV[12], 'paused', ARGV[13],
  'reason', ARGV[14], 'closed', ARGV[15], 'version', ARGV[16])
call('SADD', KEYS[2], ARGV[10])
return 1
