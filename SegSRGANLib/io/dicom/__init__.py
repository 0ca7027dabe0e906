"""DICOM series to checked images, and results back into their study."""
