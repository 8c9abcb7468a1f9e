-- Writes the next version of a job's record and moves its index entries along.
--
-- KEYS 1 record, 2 ends, then: indexes to leave, indexes to enter,
--      and for each SID claimed its owner key and its orphans key
-- ARGV 1 job id, 2 version expected ('' for no record), 3 next version,
--      4 head, 5 log, 6 when the record may go in ms ('' while the job lives),
--      7 creation in µs, 8 how many indexes to leave, 9 how many to enter,
--      and for each SID claimed its owner and how many orphans were joined
-- returns 1, or 0 with nothing written when the record moved or an orphan came
local id = ARGV[1]
local leave, enter = tonumber(ARGV[8]), tonumber(ARGV[9])
local claims = 2 + leave + enter

if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[2] then
  return 0
end
local arg = 10
for key = claims + 1, #KEYS, 2 do
  if redis.call('HLEN', KEYS[key + 1]) ~= tonumber(ARGV[arg + 1]) then
    return 0
  end
  arg = arg + 2
end

redis.call('HSET', KEYS[1], 'v', ARGV[3], 'head', ARGV[4], 'log', ARGV[5], 'until', ARGV[6])
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], id)
else
  redis.call('ZADD', KEYS[2], ARGV[6], id)
end
for key = 3, 2 + leave do
  redis.call('ZREM', KEYS[key], id)
end
for key = 3 + leave, claims do
  redis.call('ZADD', KEYS[key], ARGV[7], id)
end
arg = 10
for key = claims + 1, #KEYS, 2 do
  redis.call('SETNX', KEYS[key], ARGV[arg])
  redis.call('DEL', KEYS[key + 1])
  arg = arg + 2
end
return 1
