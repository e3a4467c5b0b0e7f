package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// firstPages is how often the first page of a list is asked for.
const firstPages = 200

// pages walks the lists to their ends and prints how long pages take, by where they are.
func pages(dataDir string) error {
	c, err := dial(dataDir)
	if err != nil {
		return err
	}
	defer c.close()
	for _, l := range []list{
		{"ListCalculationExecutions", "of all", "Calculations", map[string]any{"SessionId": longID}},
		{"ListCalculationExecutions", "of FAILED", "Calculations", map[string]any{"SessionId": longID, "StateFilter": "FAILED"}},
		{"ListSessions", "of TERMINATED", "Sessions", map[string]any{"WorkGroup": "primary", "StateFilter": "TERMINATED"}},
	} {
		if err := l.measure(c); err != nil {
			return err
		}
	}
	return nil
}

type list struct {
	operation, what, member string
	input                   map[string]any
}

func (l list) measure(c *client) error {
	var first, walk []time.Duration
	for range firstPages {
		_, _, took, err := l.page(c, "")
		if err != nil {
			return err
		}
		first = append(first, took)
	}
	count, last := 0, ""
	for token := ""; ; {
		n, next, took, err := l.page(c, token)
		if err != nil {
			return err
		}
		count += n
		walk = append(walk, took)
		if next == "" {
			break
		}
		if next == last {
			return errors.New("the list does not end")
		}
		token, last = next, next
	}
	name := fmt.Sprintf("%s %s %d, 100 a page: ", l.operation, l.what, count)
	row(name+"first page", first)
	if n := len(walk); n >= 10 {
		row(name+"middle", walk[n*4/10:n*6/10])
		row(name+"deep", walk[n*9/10:])
	}
	return nil
}

// page reads one page: how many things, the next token, how long it took.
func (l list) page(c *client, token string) (n int, next string, took time.Duration, err error) {
	input := map[string]any{"MaxResults": 100}
	for k, v := range l.input {
		input[k] = v
	}
	if token != "" {
		input["NextToken"] = token
	}
	body, err := json.Marshal(input)
	if err != nil {
		return 0, "", 0, err
	}
	var got map[string]json.RawMessage
	if err := c.call(l.operation, string(body), &got); err != nil {
		return 0, "", 0, err
	}
	var things []json.RawMessage
	if err := json.Unmarshal(got[l.member], &things); err != nil {
		return 0, "", 0, fmt.Errorf("%s: %w", l.operation, err)
	}
	if raw := got["NextToken"]; raw != nil {
		err = json.Unmarshal(raw, &next)
	}
	if err == nil && next != "" && len(things) != 100 {
		err = fmt.Errorf("%s: a page of %d that is not the last", l.operation, len(things))
	}
	return len(things), next, c.took, err
}
