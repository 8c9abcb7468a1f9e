-- Remembers where in the waiting room a job lies, so that it is found when its
-- customer is counted or writes in.
--
-- KEYS 1 job
-- ARGV 2 sender  3 customer  4 priority  5 attempt  6 sequence
-- Returns 1, or 0 if the job no longer waits.

-- So many jobs of one customer are found by it; further ones follow in the order
-- of the room.
local MOST = 256

local job = recall(KEYS[1], tonumber(ARGV[5]))
local over = job.ended_with >= job.attempt or job.decided_for >= job.attempt or job.latest > job.attempt
if over or (job.grant and job.grant.state ~= 'b') then
  return 0
end
job.sender, job.customer = ARGV[2], canonical(ARGV[3])
if job.lies and job.lies ~= ARGV[6] then
  unshelve(job)
end
call('HSET', KEYS[1], 'l', ARGV[6])
if not job.digest then
  forget(KEYS[1], RETENTION)
end
if job.mark and string.match(job.mark, '^%d|%d+|0') then
  make_ready(ARGV[2], ARGV[4], ARGV[6])
  return 1
end
local customer = CUSTOMER_KEY .. job.customer
if tonumber(call('HGET', customer, '#') or '0') < MOST
  and call('HSET', customer, '#' .. ARGV[6], ARGV[2] .. '|' .. ARGV[4]) == 1 then
  call('HINCRBY', customer, '#', 1)
end
return 1
