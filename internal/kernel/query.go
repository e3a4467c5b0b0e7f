package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ergane-dev/ergane"
)

const maxText = 1 << 10 // bytes of any text about an executor

// Executors asks the Spark driver for its executors, until ctx ends. A kernel that runs C code does not answer before that has ended.
func (k *Kernel) Executors(ctx context.Context) ([]ergane.SparkExecutor, error) {
	f, err := k.call(ctx, order{Op: "executors"})
	if err != nil {
		return nil, fmt.Errorf("executors: %w", err)
	}
	return parseExecutors(f)
}

type executorDocument struct {
	App           string   `json:"app"`
	ID            string   `json:"id"`
	AddedMillis   float64  `json:"added_ms"`
	RemovedMillis *float64 `json:"removed_ms"`
	Active        bool     `json:"active"`
	RemovedReason string   `json:"removed_reason"`
}

func parseExecutors(f frame) ([]ergane.SparkExecutor, error) {
	var sentence string
	if len(f.Error) > 0 && json.Unmarshal(f.Error, &sentence) != nil {
		return nil, errors.New("executors: the kernel's answer is malformed")
	}
	if sentence == "" {
		sentence = f.Err
	}
	if sentence != "" {
		return nil, fmt.Errorf("executors: %s", clip(sentence, maxText))
	}
	var list []executorDocument
	if len(f.Executors) > 0 {
		if err := json.Unmarshal(f.Executors, &list); err != nil {
			return nil, fmt.Errorf("executors: the kernel's answer is malformed: %w", err)
		}
	}
	var all []ergane.SparkExecutor
	for _, e := range list {
		if e.ID == "" {
			continue
		}
		executor := ergane.SparkExecutor{
			App: clip(e.App, maxText), Name: clip(e.ID, maxText), AddedAt: epochSeconds(e.AddedMillis / 1000), Active: e.Active,
			Reason: clip(e.RemovedReason, maxText),
		}
		if e.RemovedMillis != nil {
			executor.RemovedAt = epochSeconds(*e.RemovedMillis / 1000)
		}
		all = append(all, executor)
	}
	return all, nil
}

// Progress returns how many tasks of a calculation are done, and how many Spark knows; 0 of 0 before there are any.
func (k *Kernel) Progress(ctx context.Context, id string) (done, total int64, err error) {
	f, err := k.call(ctx, order{Op: "progress", ID: id})
	if err != nil {
		return 0, 0, fmt.Errorf("progress: %w", err)
	}
	if f.Err != "" {
		return 0, 0, fmt.Errorf("progress: the kernel answers %q", clip(f.Err, 100))
	}
	total = max(0, f.Tasks)
	return min(max(0, f.Done), total), total, nil
}
