-- Sets a sender's policy and its membership of a pool.
--
-- KEYS 1 sender  2 pools
-- ARGV 10 sender  11 pool  12 limit  13 rate  14 paused  15 reason
--      16 needs opt-in  17 version
-- Returns 1, or 0 if the version is not new.

if not newer(KEYS[1], ARGV[17]) then
  return 0
end
call('HSET', KEYS[1], 'pool', ARGV[11], 'limit', ARGV[12], 'mps', ARGV[13], 'paused', ARGV[14],
  'reason', ARGV[15], 'optin', ARGV[16], 'version', ARGV[17])
local sender = read_sender(ARGV[10], nil)
local pool = sender.pool or sender.member
if pool then
  join(sender, pool)
end
return 1
