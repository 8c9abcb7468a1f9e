-- Finds the job that owns a SID, or keeps an event until a job names the SID.
--
-- KEYS 1 owner of the SID, 2 its orphans
-- ARGV 1 name of the event, 2 the event, 3 how long to keep it, ms
-- returns the owner, or '' when the event is kept
local owner = redis.call('GET', KEYS[1])
if owner then
  return owner
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return ''
