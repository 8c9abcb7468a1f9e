-- Removes a job's record with everything that points at it.
--
-- KEYS 1 record, 2 ends, then: its indexes, and the owner keys of its SIDs
-- ARGV 1 job id, 2 version expected ('' for no record), 3 how many indexes,
--      and for each SID its owner
-- returns 1, or 0 with nothing removed when the record moved
local id, indexes = ARGV[1], tonumber(ARGV[3])

if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[2] then
  return 0
end
for key = 2, 2 + indexes do
  redis.call('ZREM', KEYS[key], id)
end
for key = 3 + indexes, #KEYS do
  if redis.call('GET', KEYS[key]) == ARGV[key - indexes + 1] then
    redis.call('DEL', KEYS[key])
  end
end
redis.call('DEL', KEYS[1])
return 1
