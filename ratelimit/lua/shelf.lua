-- Part: where in the waiting room a job lies. It is found there by its customer,
-- or stands in its sender's list of jobs that need no place.

-- So many jobs of one customer are found by it; further ones follow in the order
-- of the room.
local MOST = 256

-- Whether the job waits: not if it has ended, goes or is about to.
local function waits(job)
  local over = job.ended_with >= job.attempt or job.decided_for >= job.attempt or job.latest > job.attempt
  return not over and (not job.grant or job.grant.state == 'b')
end

local function shelve(job, priority, sequence)
  if job.lies and job.lies ~= sequence then
    unshelve(job)
  end
  call('HSET', job.hash, 'l', sequence)
  if job.mark and string.match(job.mark, '^%d|%d+|0') then
    make_ready(job.sender, priority, sequence)
    return
  end
  local customer = CUSTOMER_KEY .. job.customer
  if tonumber(call('HGET', customer, '#') or '0') < MOST
    and call('HSET', customer, '#' .. sequence, job.sender .. '|' .. priority) == 1 then
    call('HINCRBY', customer, '#', 1)
  end
end
