// Package campaign reads many jobs from a file and hands them to the API.
//
// A row of a CSV file or a line of NDJSON becomes a [Row]: a job, or what is
// wrong with it and in which field. A bad row never stops the good ones. A job's
// id is made of the campaign's name and of the row, so that a file which is sent
// twice reaches nobody twice, and next week's campaign is new.
//
// Nothing here holds more than one batch in memory, however long the file.
package campaign
