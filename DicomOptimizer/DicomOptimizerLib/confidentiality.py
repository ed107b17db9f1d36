"""The attributes that the Basic Application Level Confidentiality Profile acts on, by what is done to them here.

Source: PS3.15 Table E.1-1 (2024). Not listed, because rules by kind cover them completely: UIDs (all are mapped), dates and times (all are
removed or shifted, also those the table does not name), person names (all are emptied), private attributes, curves and overlays (removed).
Where the table offers a choice (X/Z, X/Z/D, ...) the entry here is the one that keeps CT, MR, PET, RT and SEG objects legal.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# X: remove
REMOVE = _words(
    """
    AcquisitionComments AcquisitionContextSequence AcquisitionDeviceProcessingDescription AcquisitionProtocolDescription
    ActualHumanPerformersSequence AdditionalPatientHistory AdmissionID AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription
    AddressTrial AffectedSOPInstanceUID Allergies AnnotationGroupDescription Arbitrary AuthorObserverSequence BarcodeValue
    BeamDescription BolusDescription BranchOfService CameraOwnerName CassetteID CertifiedTimestamp
    ClinicalTrialProtocolEthicsCommitteeApprovalNumber ClinicalTrialSeriesDescription ClinicalTrialSeriesID
    ClinicalTrialTimePointDescription CommentsOnRadiationDose CommentsOnThePerformedProcedureStep CompensatorDescription
    ConfidentialityConstraintOnPatientDataDescription ConsultingPhysicianIdentificationSequence ContainerComponentID
    ContainerDescription ContentCreatorIdentificationCodeSequence ContributionDescription CountryOfResidence CurrentObserverTrial
    CurrentPatientLocation CustodialOrganizationSequence DataSetTrailingPadding DecompositionDescription DerivationDescription
    DetectorID DeviceDescription DeviceSettingDescription DigitalSignaturesSequence DischargeDiagnosisDescription
    DisplacementReferenceLabel DistributionAddress DistributionName DoseReferenceDescription EncapsulatedDocument
    EntityDescription EntityName EquipmentFrameOfReferenceDescription EthnicGroup EthnicGroupCodeSequence
    FilterLookupTableDescription
    FixationDeviceDescription FlowIdentifier FlowIdentifierSequence FractionGroupDescription FrameComments FrameOriginTimestamp
    GPSAltitude GPSAltitudeRef GPSAreaInformation GPSDestBearing GPSDestBearingRef GPSDestDistance GPSDestDistanceRef
    GPSDestLatitude GPSDestLatitudeRef GPSDestLongitude GPSDestLongitudeRef GPSDifferential GPSDOP GPSImgDirection
    GPSImgDirectionRef GPSLatitude GPSLatitudeRef GPSLongitude GPSLongitudeRef GPSMapDatum GPSMeasureMode GPSProcessingMethod
    GPSSatellites GPSSpeed GPSSpeedRef GPSStatus GPSTimeStamp GPSTrack GPSTrackRef GPSVersionID GPSDateStamp GantryID GeneratorID
    GraphicAnnotationSequence HumanPerformerName HumanPerformerOrganization IconImageSequence IdentifyingComments ImageComments
    ImagePresentationComments ImagingServiceRequestComments Impressions InstanceOriginStatus InstitutionAddress
    InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence InsurancePlanIdentification
    IntendedRecipientsOfResultsIdentificationSequence InterlockDescription InterlockOriginDescription
    InterpretationApproverSequence InterpretationAuthor InterpretationDiagnosisDescription InterpretationID
    InterpretationIDIssuer InterpretationRecorder InterpretationText InterpretationTranscriber IssuerOfAdmissionID
    IssuerOfAdmissionIDSequence IssuerOfClinicalTrialProtocolID IssuerOfClinicalTrialSeriesID IssuerOfClinicalTrialSiteID
    IssuerOfClinicalTrialSubjectID IssuerOfClinicalTrialSubjectReadingID IssuerOfClinicalTrialTimePointID IssuerOfPatientID
    IssuerOfPatientIDQualifiersSequence IssuerOfServiceEpisodeID IssuerOfServiceEpisodeIDSequence LabelText LensMake LensModel
    LensSerialNumber LensSpecification
    LongDeviceDescription MAC MACParametersSequence MakerNote MedicalAlerts MedicalRecordLocator MilitaryRank
    ModifiedAttributesSequence ModifiedImageDescription ModifyingDeviceID ModifyingDeviceManufacturer
    MultienergyAcquisitionDescription NameOfPhysiciansReadingStudy NamesOfIntendedRecipientsOfResults NetworkID
    NonconformingDataElementValue NonconformingModifiedAttributesSequence Occupation OperatorIdentificationSequence
    OrderCallbackPhoneNumber OrderCallbackTelecomInformation OrderEnteredBy OrderEntererLocation OriginalAttributesSequence
    Originator OtherClinicalTrialProtocolIDsSequence OtherPatientIDs OtherPatientIDsSequence OtherPatientNames
    ParticipantSequence PatientAddress PatientAge PatientAlternativeCalendar PatientBirthDateInAlternativeCalendar
    PatientDeathDateInAlternativeCalendar PatientBirthName PatientComments PatientInstitutionResidence
    PatientInsurancePlanCodeSequence PatientMotherBirthName PatientPrimaryLanguageCodeSequence
    PatientPrimaryLanguageModifierCodeSequence PatientReligiousPreference PatientSetupPhotoDescription PatientSexNeutered
    PatientSize PatientState PatientTelecomInformation PatientTelephoneNumbers PatientTransportArrangements
    PatientTreatmentPreparationMethodDescription PatientTreatmentPreparationProcedureParameterDescription PatientWeight
    PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepID PerformedStationAETitle
    PerformedStationGeographicLocationCodeSequence PerformedStationName PerformedStationNameCodeSequence PerformingPhysicianName
    PerformingPhysicianIdentificationSequence PersonAddress PersonTelecomInformation PersonTelephoneNumbers
    PhysicianApprovingInterpretation PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
    PhysiciansReadingStudyIdentificationSequence PlateID PositionAcquisitionTemplateDescription PositionAcquisitionTemplateName
    PreMedication PregnancyStatus PrescriptionDescription PriorTreatmentDoseDescription ProtocolName PyramidDescription
    PyramidLabel ROICreatorSequence ROIDescription ROIGenerationDescription ROIInterpreterSequence ROIObservationDescription
    ROIObservationLabel RTPlanDescription RTPlanName RadiationDoseInVivoMeasurementLabel ReasonForOmissionDescription
    ReasonForRequestedProcedureCodeSequence ReasonForStudy ReasonForTheImagingServiceRequest ReasonForTheRequestedProcedure
    ReasonForVisit ReasonForVisitCodeSequence ReceivingAE ReferencedDigitalSignatureSequence ReferencedPatientAliasSequence
    ReferencedPatientPhotoSequence ReferencedPatientSequence ReferencedPerformedProcedureStepSequence
    ReferencedSOPInstanceMACSequence ReferencedStudySequence ReferringPhysicianAddress
    ReferringPhysicianIdentificationSequence ReferringPhysicianTelephoneNumbers RegionOfResidence RequestAttributesSequence
    RequestedContrastAgent RequestedProcedureComments RequestedProcedureDescription RequestedProcedureID
    RequestedProcedureLocation RequestedSeriesDescription RequestedSOPInstanceUID RequestingAE RequestingPhysician
    RequestingService RespiratoryMotionCompensationTechniqueDescription ResponsibleOrganization ResponsiblePerson ResultsComments
    ResultsDistributionListSequence ResultsID ResultsIDIssuer RetrieveAETitle ScheduledHumanPerformersSequence
    ScheduledPatientInstitutionResidence ScheduledPerformingPhysicianIdentificationSequence ScheduledPerformingPhysicianName
    ScheduledProcedureStepDescription ScheduledProcedureStepID ScheduledProcedureStepLocation ScheduledStationAETitle
    ScheduledStationGeographicLocationCodeSequence ScheduledStationName ScheduledStationNameCodeSequence ScheduledStudyLocation
    ScheduledStudyLocationAETitle SeriesDescription SeriesDescriptionCodeSequence ServiceEpisodeDescription ServiceEpisodeID
    SetupTechniqueDescription
    ShieldingDeviceDescription SlideIdentifier SmokingStatus SourceIdentifier SourceManufacturer SpecialNeeds
    SpecimenAccessionNumber SpecimenDetailedDescription SpecimenShortDescription StationAETitle StructureSetDescription
    StructureSetName StudyComments StudyDescription StudyIDIssuer TelephoneNumberTrial TextComments TextString
    TimezoneOffsetFromUTC TopicAuthor TopicKeywords TopicSubject TopicTitle TransducerIdentificationSequence
    TreatmentSites TreatmentSite TreatmentToleranceViolationDescription UDISequence UniqueDeviceIdentifier
    VerbalSourceTrial VerbalSourceIdentifierCodeSequenceTrial VisitComments WaveformFilterDescription XRayDetectorLabel
    """
)

# Z: empty
EMPTY = _words(
    """
    AccessionNumber ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName
    ClinicalTrialTimePointID ConceptualVolumeCombinationDescription ConceptualVolumeDescription ContentCreatorName ContrastBolusAgent
    ConsultingPhysicianName DeviceAlternateIdentifier FillerOrderNumberImagingServiceRequest FractionationNotes
    IssuerOfTheContainerIdentifierSequence IssuerOfTheSpecimenIdentifierSequence ManufacturerDeviceIdentifier PatientName PatientSex
    PlacerOrderNumberImagingServiceRequest PrescriptionNotes PrescriptionNotesSequence ROIInterpreter RTAccessoryDeviceSlotID
    RTAccessoryHolderSlotID RTPhysicianIntentNarrative RadiationGenerationModeDescription ReasonForSuperseding
    ReferringPhysicianName ReviewerName SourceOfPreviousValues SourceSerialNumber SpecimenPreparationSequence StudyID TreatmentMachineName
    TreatmentTechniqueNotes VerifyingObserverIdentificationCodeSequence
    """
)

# D: a dummy value
DUMMY = _words(
    """
    AcquisitionFieldOfViewLabel AnnotationGroupLabel CertificateOfSigner ClinicalTrialProtocolEthicsCommitteeName
    ClinicalTrialProtocolID ClinicalTrialSponsorName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ContainerIdentifier
    DestinationAE DeviceLabel DeviceSerialNumber EntityLabel EntityLongLabel InstitutionName ModifyingSystem OperatorsName
    RTPlanLabel RTPrescriptionLabel RTToleranceSetLabel RTTreatmentApproachLabel RadiationDoseIdentificationLabel
    RadiationGenerationModeLabel ReasonForTheAttributeModification SpecimenIdentifier StationName StructureSetLabel
    TreatmentPositionGroupLabel UserContentLabel UserContentLongLabel VerifyingOrganization XRayDetectorID XRaySourceID
    """
)

# Dates and times that an object cannot do without (Type 1 or 2) when all others are removed.
EMPTY_TIMES = _words(
    """
    StudyDate StudyTime ContentDate ContentTime AcquisitionDate AcquisitionTime StructureSetDate StructureSetTime RTPlanDate RTPlanTime
    PatientBirthDate ReviewDate ReviewTime InstanceCreationDate InstanceCreationTime
    """
)

# What the option "Retain Patient Characteristics" (113108) keeps.
CHARACTERISTICS = _words(
    "EthnicGroup PatientAge PatientSex PatientSexNeutered PatientSize PatientWeight PregnancyStatus SmokingStatus"
)
