-- Part: jobs that others than their own delivery speak of.

-- Reads a job with its customer as that counts now.
local function recall(hash, attempt)
  local job = read(hash, attempt)
  if job.customer then
    job.customer = canonical(job.customer)
  end
  return job
end
