-- Flags a job, so that its next admission ends it.
--
-- KEYS 1 job
-- Returns flagged, granted or ended; and the status of an ended job.

local job = recall(KEYS[1])
if job.status and job.ended_with >= job.latest then
  return { 'ended', job.status }
end
if job.outcome and job.decided_for >= job.latest then
  return { 'ended', job.outcome == 'no_window' and 'failed' or job.outcome }
end
if job.grant and (job.grant.state == 'g' or job.grant.state == 'd') then
  return { 'granted', '' }
end
-- What is true now: no later admission grants the job. It still lies in its
-- stream; the delivery that finds it there ends it.
drop_reservation(job)
call('HSET', KEYS[1], 'c', '1')
if not job.digest then
  forget(KEYS[1], RETENTION)
end
return { 'flagged', '' }
