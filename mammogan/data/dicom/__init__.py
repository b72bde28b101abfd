"""Reading and writing DICOM: headers, codes, pixel decoders, image files dressed as DICOM."""
