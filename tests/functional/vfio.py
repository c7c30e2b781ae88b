# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines with simulated VFIO devices: a program under vfio-sim."""
import pathlib
import subprocess
import tempfile

import harness
import vfiosim


def device_keys(name, keys):
    """The value of --device. keys: as text, or by name, with '_' for '-'."""
    if not isinstance(keys, str):
        keys = ','.join(f'{key.replace("_", "-")}={value}' for key, value in keys.items())
    return f'id={name}' + (',' + keys if keys else '')


class SimMachine(harness.Machine):
    """devices: {id: keys}, each with a -device of that id; pci: more of its
    properties, with {i} for its number from 1; sim: options of vfio-sim."""

    def __init__(self, devices, *args, pci='', sim=(), **kwargs):
        self.sim_folder = tempfile.TemporaryDirectory(prefix='godwit-vfio-sim-')
        self.control_path = pathlib.Path(self.sim_folder.name, 'control')
        self.controls = {}
        prefix = [vfiosim.SIM, '--control', f'unix:{self.control_path}', *sim]
        line = ['-object', 'iommufd,id=iommufd0,fd=@iommufd@']
        for i, (name, keys) in enumerate(devices.items(), 1):
            prefix += ['--device', device_keys(name, keys)]
            line += ['-device', f'vfio-pci,id={name},fd=@{name}@,iommufd=iommufd0'
                     + pci.format(i=i)]
        super().__init__(*line, *args, prefix=[*prefix, '--'], **kwargs)

    def control(self, name):
        """The control socket of the device called name."""
        if name not in self.controls:
            self.controls[name] = vfiosim.Control(self.control_path, name)
        return self.controls[name]

    def kill(self):
        """It hands a SIGTERM on; killed, it would leave the machine behind."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        super().kill()

    def close(self):
        for control in self.controls.values():
            control.close()
        super().close()
        self.sim_folder.cleanup()
