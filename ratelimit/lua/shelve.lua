-- Remembers where in the waiting room a job lies, so that it is found when its
-- customer is counted or writes in.
--
-- KEYS 1 job
-- ARGV 2 sender  3 customer  4 priority  5 attempt  6 sequence
-- Returns 1, or 0 if the job no longer waits.

local job = recall(KEYS[1], tonumber(ARGV[5]))
if not waits(job) then
  return 0
end
job.sender, job.customer = ARGV[2], canonical(ARGV[3])
shelve(job, ARGV[4], ARGV[6])
if not job.digest then
  forget(KEYS[1], RETENTION)
end
return 1
