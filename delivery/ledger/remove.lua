-- Removes a job's record with everything that points at it.
--
-- KEYS 1 record, 2 ends, 3 codes, then: its indexes, and the owner keys of its
--      SIDs
-- ARGV 1 job id, 2 version expected ('' for no record), 3 how many indexes,
--      for each of these the error code it is of ('' for none),
--      and for each SID its owner
-- returns 1, or 0 with nothing removed when the record moved
local id, indexes = ARGV[1], tonumber(ARGV[3])

if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[2] then
  return 0
end
redis.call('ZREM', KEYS[2], id)
for key = 4, 3 + indexes do
  redis.call('ZREM', KEYS[key], id)
  if ARGV[key] ~= '' and redis.call('EXISTS', KEYS[key]) == 0 then
    redis.call('SREM', KEYS[3], ARGV[key])
  end
end
for key = 4 + indexes, #KEYS do
  if redis.call('GET', KEYS[key]) == ARGV[key] then
    redis.call('DEL', KEYS[key])
  end
end
redis.call('DEL', KEYS[1])
return 1
