-- Writes the next version of a job's record and moves its index entries along.
--
-- KEYS 1 record, 2 ends, 3 codes, then: indexes to leave, indexes to enter,
--      and for each SID claimed its owner key and its orphans key
-- ARGV 1 job id, 2 version expected ('' for no record), 3 next version,
--      4 head, 5 log, 6 when the record may go in ms ('' while the job lives),
--      7 creation in µs, 8 how many indexes to leave, 9 how many to enter,
--      for each of these the error code it is of ('' for none),
--      and for each SID claimed its owner and how many orphans were joined
-- returns 1, or 0 with nothing written when the record moved or an orphan came
local id = ARGV[1]
local leave, enter = tonumber(ARGV[8]), tonumber(ARGV[9])
local claims = 3 + leave + enter
local claim_args = 10 + leave + enter

if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[2] then
  return 0
end
local arg = claim_args
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
for key = 4, 3 + leave do
  local code = ARGV[key + 6]
  redis.call('ZREM', KEYS[key], id)
  if code ~= '' and redis.call('EXISTS', KEYS[key]) == 0 then
    redis.call('SREM', KEYS[3], code)
  end
end
for key = 4 + leave, claims do
  local code = ARGV[key + 6]
  redis.call('ZADD', KEYS[key], ARGV[7], id)
  if code ~= '' then
    redis.call('SADD', KEYS[3], code)
  end
end
arg = claim_args
for key = claims + 1, #KEYS, 2 do
  redis.call('SETNX', KEYS[key], ARGV[arg])
  redis.call('DEL', KEYS[key + 1])
  arg = arg + 2
end
return 1
