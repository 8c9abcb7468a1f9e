-- Sets a sender's policy and its membership of a pool.
--
-- KEYS 1 sender  2 pools
-- ARGV 2 sender  3 pool  4 limit  5 rate  6 paused  7 reason
--      8 needs opt-in  9 version
-- Returns 1, 2 if the sender's customers are still to follow it into its pool,
--      or 0 if the version is not new.

if not newer(KEYS[1], ARGV[9]) then
  return 0
end
call('HSET', KEYS[1], 'pool', ARGV[3], 'limit', ARGV[4], 'mps', ARGV[5], 'paused', ARGV[6],
  'reason', ARGV[7], 'optin', ARGV[8], 'version', ARGV[9])
local sender = read_sender(ARGV[2], nil)
local pool = sender.pool or sender.member
if pool then
  return join(sender, pool) and 2 or 1
end
return 1
