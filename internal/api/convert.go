package api

import (
	"encoding/json"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// value is what p points to, or the zero value if the member is absent.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// present returns a pointer to v, or nil for the zero value, which leaves the member out.
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// echo packs the members that Ergane does not use and only returns.
func echo(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == "{}" {
		return nil, err
	}
	return raw, nil
}

func sessionStatus(s ergane.SessionStatus) *athena.SessionStatus {
	return &athena.SessionStatus{
		State:                new(athena.SessionState(s.State)),
		StateChangeReason:    present(s.Reason),
		StartDateTime:        awsjson.Timestamp(s.StartedAt),
		LastModifiedDateTime: awsjson.Timestamp(s.ModifiedAt),
		EndDateTime:          awsjson.Timestamp(s.EndedAt),
		IdleSinceDateTime:    awsjson.Timestamp(s.IdleSince),
	}
}

func calculationStatus(s ergane.CalculationStatus) *athena.CalculationStatus {
	return &athena.CalculationStatus{
		State:              new(athena.CalculationExecutionState(s.State)),
		StateChangeReason:  present(s.Reason),
		SubmissionDateTime: awsjson.Timestamp(s.SubmittedAt),
		CompletionDateTime: awsjson.Timestamp(s.CompletedAt),
	}
}

// calculationStatistics is never empty: PyAthena fails on `{}`.
func calculationStatistics(s ergane.CalculationStatistics) *athena.CalculationStatistics {
	return &athena.CalculationStatistics{DpuExecutionInMillis: &s.DpuMillis, Progress: present(s.Progress)}
}

func calculationResult(r *ergane.CalculationResult) *athena.CalculationResult {
	if r == nil {
		return nil
	}
	return &athena.CalculationResult{
		StdOutS3Uri: &r.StdOut, StdErrorS3Uri: &r.StdErr, ResultS3Uri: &r.Results, ResultType: new(ergane.ResultType),
	}
}

func engineVersion(v ergane.EngineVersion) *athena.EngineVersion {
	return &athena.EngineVersion{SelectedEngineVersion: present(v.Selected), EffectiveEngineVersion: present(v.Effective)}
}

func engineFrom(c *athena.EngineConfiguration) ergane.EngineConfiguration {
	if c == nil {
		return ergane.EngineConfiguration{}
	}
	e := ergane.EngineConfiguration{
		CoordinatorDpuSize:     value(c.CoordinatorDpuSize),
		DefaultExecutorDpuSize: value(c.DefaultExecutorDpuSize),
		MaxConcurrentDpus:      value(c.MaxConcurrentDpus),
		SparkProperties:        c.SparkProperties,
		AdditionalConfigs:      c.AdditionalConfigs,
	}
	for _, cl := range c.Classifications {
		e.Classifications = append(e.Classifications, ergane.Classification{Name: value(cl.Name), Properties: cl.Properties})
	}
	return e
}

func engineTo(e ergane.EngineConfiguration) *athena.EngineConfiguration {
	c := &athena.EngineConfiguration{
		CoordinatorDpuSize:     present(e.CoordinatorDpuSize),
		DefaultExecutorDpuSize: present(e.DefaultExecutorDpuSize),
		MaxConcurrentDpus:      present(e.MaxConcurrentDpus),
		SparkProperties:        e.SparkProperties,
		AdditionalConfigs:      e.AdditionalConfigs,
	}
	for _, cl := range e.Classifications {
		c.Classifications = append(c.Classifications, athena.Classification{Name: present(cl.Name), Properties: cl.Properties})
	}
	return c
}

func encryptionFrom(e *athena.EncryptionConfiguration) *ergane.Encryption {
	if e == nil {
		return nil
	}
	return &ergane.Encryption{Option: string(value(e.EncryptionOption)), KmsKey: value(e.KmsKey)}
}

func encryptionTo(e *ergane.Encryption) *athena.EncryptionConfiguration {
	if e == nil {
		return nil
	}
	return &athena.EncryptionConfiguration{EncryptionOption: new(athena.EncryptionOption(e.Option)), KmsKey: present(e.KmsKey)}
}

// monitoringFrom packs the member so that it can be returned as it was given; nil if it is absent.
func monitoringFrom(c *athena.MonitoringConfiguration) (json.RawMessage, error) {
	if c == nil {
		return nil, nil
	}
	return json.Marshal(c)
}

func monitoringTo(raw json.RawMessage) (*athena.MonitoringConfiguration, error) {
	if raw == nil {
		return nil, nil
	}
	c := &athena.MonitoringConfiguration{}
	return c, json.Unmarshal(raw, c)
}

func tagsFrom(tags []athena.Tag) []ergane.Tag {
	var out []ergane.Tag
	for _, t := range tags {
		out = append(out, ergane.Tag{Key: value(t.Key), Value: value(t.Value)})
	}
	return out
}

// epochMillis is the wire form of the executors' times; nil for the zero time.
func epochMillis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}
