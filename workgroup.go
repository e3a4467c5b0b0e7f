package ergane

import (
	"encoding/json"
	"time"
)

// WorkGroupState is the wire enum WorkGroupState.
type WorkGroupState string

const (
	WorkGroupEnabled  WorkGroupState = "ENABLED"
	WorkGroupDisabled WorkGroupState = "DISABLED"
)

// PrimaryWorkGroup exists from the first start on.
const PrimaryWorkGroup = "primary"

// A WorkGroup holds the settings that its sessions share. Its name is unique.
type WorkGroup struct {
	Name          string
	Description   string
	State         WorkGroupState
	CreatedAt     time.Time
	Configuration WorkGroupConfiguration
	Tags          []Tag
}

// WorkGroupConfiguration is what a workgroup gives to its sessions.
type WorkGroupConfiguration struct {
	EngineVersion EngineVersion
	// OutputLocation is an s3:// address without a trailing slash;
	// empty means s3://ergane-results/<workgroup>.
	OutputLocation string `json:",omitzero"`
	// ExecutionRole is the role ARN that sessions get unless they name one.
	ExecutionRole string `json:",omitzero"`
	// Engine is the default of StartSession's EngineConfiguration.
	Engine *EngineConfiguration `json:",omitzero"`
	// Encryption of the result objects, as asked for.
	Encryption *Encryption `json:",omitzero"`
	// Echo keeps the members of the wire shape that mean nothing to Ergane,
	// as JSON, so that they are shown as they were given.
	Echo json.RawMessage `json:",omitzero"`
}

// EngineVersion names a version as it was selected and as it is in effect.
type EngineVersion struct {
	Selected  string
	Effective string
}

// Encryption is the wire shape EncryptionConfiguration.
type Encryption struct {
	Option string
	KmsKey string `json:",omitzero"`
}

// Tag is one key and value of a workgroup or session.
type Tag struct {
	Key   string
	Value string
}
