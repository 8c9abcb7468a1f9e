package campaign

import (
	"fmt"
	"maps"

	"github.com/sluicehq/sluice/delivery"
)

// Row is one job of a file, or what is wrong with its place.
type Row struct {
	Line  int          // of the file, from 1; a row of several lines begins here
	Job   delivery.Job // with its id, as far as it could be read
	Fault *delivery.FieldError
}

// Reader yields the rows of a file.
type Reader interface {
	// Next returns the next row, and [io.EOF] after the last. Any other error
	// means that the rest of the file cannot be read.
	Next() (Row, error)
}

// Settings say what becomes of a row.
type Settings struct {
	// Name is the campaign's. It begins the id of every job.
	Name string
	// Defaults fill what a row leaves open. Its id is not used.
	Defaults delivery.Job
}

// digestLength is what [delivery.Job.Digest] returns.
const digestLength = 32

// Check says what is wrong with the campaign's name. An empty one is right
// where every row has an id of its own.
func (s Settings) Check() error {
	const most = delivery.MaxID - 1 - digestLength
	if s.Name != "" && (len(s.Name) > most || !delivery.ValidID(s.Name)) {
		return fmt.Errorf("--campaign: must be 1 to %d of A-Z a-z 0-9 . _ : - with a letter or digit at both ends and no \"..\"", most)
	}
	return nil
}

// row makes a row of what a line says, which is a job as far as it goes.
func (s Settings) row(line int, job delivery.Job, err error) Row {
	job.From, job.To = delivery.WithChannel(job.From), delivery.WithChannel(job.To)
	switch {
	case s.Name != "" && job.ID != "":
		job.ID = s.Name + ":" + job.ID
	case s.Name != "" && err == nil:
		// What the row says, and nothing that flags add: a second run with
		// another flag is told of a conflict instead of sending twice.
		job.ID = s.Name + ":" + job.Digest()
	case job.ID == "" && err == nil:
		err = &delivery.FieldError{Field: "id", Message: "is required without --campaign: a second run would send the line again"}
	}
	job = s.fill(job)
	if err == nil {
		err = job.WithDefaults("").Validate()
	}
	return Row{Line: line, Job: job, Fault: fault(err)}
}

// fill takes from the defaults what the job leaves open. A sender is one thing,
// whether it is a number or a messaging service; variables and metadata are
// filled name by name.
func (s Settings) fill(job delivery.Job) delivery.Job {
	d := s.Defaults
	if job.From == "" && job.MessagingServiceSID == "" {
		job.From, job.MessagingServiceSID = d.From, d.MessagingServiceSID
	}
	job.To = first(job.To, d.To)
	job.ContentSID = first(job.ContentSID, d.ContentSID)
	job.Body = first(job.Body, d.Body)
	job.Category = first(job.Category, d.Category)
	job.Priority = first(job.Priority, d.Priority)
	job.OnUnknown = first(job.OnUnknown, d.OnUnknown)
	if len(job.MediaURL) == 0 {
		job.MediaURL = d.MediaURL
	}
	if job.SendAt.IsZero() {
		job.SendAt = d.SendAt
	}
	if job.ExpiresAt.IsZero() {
		job.ExpiresAt = d.ExpiresAt
	}
	job.ContentVariables = merged(d.ContentVariables, job.ContentVariables)
	job.Metadata = merged(d.Metadata, job.Metadata)
	return job
}

func first[T comparable](given, otherwise T) T {
	var none T
	if given != none {
		return given
	}
	return otherwise
}

func merged[M ~map[string]string](defaults, given M) M {
	if len(defaults) == 0 {
		return given
	}
	all := maps.Clone(defaults)
	maps.Copy(all, given)
	return all
}

// fault is any error of a row as one that may name a field.
func fault(err error) *delivery.FieldError {
	if err == nil {
		return nil
	}
	if f, ok := err.(*delivery.FieldError); ok {
		return f
	}
	return &delivery.FieldError{Message: err.Error()}
}
