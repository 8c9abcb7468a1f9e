-- Makes stored jobs known, to a Redis that has forgotten them.
--
-- KEYS the jobs
-- ARGV from 2 on, for each: digest, sender, customer, pool, priority, attempt,
--      sequence in the waiting room (0: it lies elsewhere), until when a copy of
--      it lies somewhere, or nothing
-- Returns 1.

-- Whether a job that has not been asked about here lacks a place.
local function needs_place(job, pool)
  local wrote = call('GET', INBOUND_KEY .. job.sender .. ':' .. job.customer)
  if wrote and now < tonumber(wrote) + SERVICE then
    return false
  end
  local in_sender = score_of(SENDER_WINDOW_KEY .. job.sender, job.customer)
  local in_pool = score_of(POOL_WINDOW_KEY .. pool, job.customer)
  return not in_sender or in_sender <= cutoff or not in_pool or in_pool <= cutoff
end

-- The job waits as if it had been asked about and had parked. What is true then:
-- it is counted with those who wait. Doing it again changes nothing.
local function await(job, pool, priority, sequence)
  mark(job, pool, priority, needs_place(job, pool))
  shelve(job, priority, sequence)
  save(job)
end

local function restore(hash, digest, sender, customer, asked, priority, attempt, sequence, copies)
  local job = recall(hash, tonumber(attempt))
  local other = job.known and (job.known ~= digest or job.sender ~= sender)
  local claim = job.latest == 0 and not job.status and not job.outcome -- and nothing more
  if other and (sequence == '0' or not claim) then
    return -- it is told so when it is handled
  end
  -- A job that lies in the waiting room had its id first. Who claimed it for another
  -- one did so while this Redis knew of neither.
  job.digest, job.sender, job.customer = digest, sender, canonical(customer)
  if copies ~= '' then
    call('HSET', hash, 'u', copies)
  end
  if sequence ~= '0' and waits(job) then
    await(job, read_sender(sender, asked).pool, priority, sequence)
  elseif not job.known then
    call('HSET', hash, 'd', digest, 's', sender)
    forget(hash, RETENTION)
  elseif copies ~= '' and call('PTTL', hash) > 0 then
    forget(hash, RETENTION)
  end
end

for i, hash in ipairs(KEYS) do
  restore(hash, unpack(ARGV, 8 * i - 6, 8 * i + 1))
end
return 1
